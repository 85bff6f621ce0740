import numpy as np
import pytest

from napari_unetpp.arrays import LabelRule
from napari_unetpp.errors import SettingsError
from napari_unetpp.io import as_image, read_labels
from napari_unetpp.training._prepare import LabelledImage, new_model

ITEM = LabelledImage(
    as_image(np.zeros((16, 16), np.uint8)), read_labels(np.ones((16, 16), np.uint8))
)


def config(task="classes", rule=None, **options):
    rule = rule or LabelRule((0, 4), None)
    return new_model([ITEM], task, rule, size="small", **options).config


def test_classes_are_named_as_given_or_by_their_value():
    assert config().class_names == ("background", "class 4")
    assert config(class_names={4: "axon"}).class_names == ("background", "axon")
    assert config(class_names={0: "", 4: " axon "}).class_names[1] == "axon"


def test_a_name_for_two_classes_is_refused():
    with pytest.raises(SettingsError, match="'axon' stands for two classes"):
        config(class_names={0: "axon", 4: "axon"})


def test_colours_are_kept_where_all_are_known():
    both = {0: "#000000", 4: "#ff8800", 9: "#123456"}
    assert config(class_colours=both).class_colours == ("#000000", "#ff8800")
    assert config(class_colours={4: "#ff8800"}).class_colours == ()


def test_instance_models_have_the_classes_of_their_heads():
    rule = LabelRule((0, 1, 2), None)
    made = config("instances", rule, class_names={1: "x"}, class_colours={1: "#000000"})
    assert made.class_names == ("background", "interior", "boundary")
    assert made.class_colours == ()
