"""Shapes of networks and models that cannot be are refused with rule and cure."""

import pytest
from pydantic import ValidationError

from napari_unetpp.config import AugmentConfig, ModelConfig, NetworkConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"widths": (8,)}, r"widths=\(8,\): at least two levels"),
        ({"widths": ()}, "at least two levels"),
        ({"widths": (8, 0)}, r"widths=\(8, 0\): .*at least one feature map"),
        ({"widths": (8, 16, 32), "strides": ((2, 2),)}, "each of the 2 steps down"),
        ({"widths": (8, 16), "strides": ((2, 2, 2),)}, "every entry needs 2 integers"),
        ({"widths": (8, 16), "strides": ((0, 2),)}, "of at least 1"),
        ({"spatial_dims": 3, "widths": (8, 16), "strides": ((2, 2),)}, "needs 3"),
        ({"spatial_dims": 4}, "spatial_dims"),
        ({"in_channels": 0}, "in_channels"),
        ({"out_channels": 0}, "out_channels"),
        ({"architecture": "unet3+"}, "architecture"),
        ({"upsampling": "cubic"}, "upsampling"),
        ({"norm": "group"}, "norm"),
        ({"filters": 3}, "Extra inputs are not permitted"),
    ],
)
def test_network_config_refuses(settings, message):
    with pytest.raises(ValidationError, match=message):
        NetworkConfig(**settings)


@pytest.mark.parametrize("name", ["scale", "contrast", "gamma"])
@pytest.mark.parametrize("wrong", [(0, 1), (-0.7, 1.4), (1.4, 0.7), (1, float("inf"))])
def test_augment_config_refuses_what_is_no_range_of_factors(name, wrong):
    with pytest.raises(ValidationError, match=rf"{name}=.*the lower one first"):
        AugmentConfig(**{name: wrong})
    assert getattr(AugmentConfig(**{name: (1, 1)}), name) == (1, 1)


def test_settings_are_frozen():
    config = NetworkConfig()

    with pytest.raises(ValidationError, match="frozen"):
        config.widths = (1, 2)


def test_alignment_is_the_product_of_the_strides():
    config = NetworkConfig(
        spatial_dims=3, widths=(1, 1, 1, 1), strides=((1, 2, 2), (2, 2, 2), (2, 3, 1))
    )

    assert [config.alignment(level) for level in (1, 2, 3, None)] == [
        (1, 2, 2),
        (2, 4, 4),
        (4, 12, 4),
        (4, 12, 4),
    ]
    assert NetworkConfig().alignment() == (16, 16)


MODEL = {
    "network": NetworkConfig(widths=(3, 4), out_channels=3),
    "task": "classes",
    "class_names": ("a", "b", "c"),
    "class_values": (0, 1, 7),
}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_names": ("a", "b")}, "one entry for each of the 3 output channels"),
        ({"class_colours": ("#ffffff",)}, "one colour for each of the 3"),
        ({"class_colours": ("red", "#000000", "#123456")}, "'red' is no colour"),
        ({"class_values": (0, 1)}, "one entry for each of the 3 output channels"),
        ({"task": "instances"}, "an instance model has the classes"),
        ({"task": "semantic"}, "task"),
        (
            {
                "network": NetworkConfig(widths=(3, 4), in_channels=3, out_channels=3),
                "channels": "grey",
            },
            "1 input channel, not",
        ),
    ],
)
def test_model_config_refuses(settings, message):
    with pytest.raises(ValidationError, match=message):
        ModelConfig(**{**MODEL, **settings})


def test_model_config_survives_json():
    config = ModelConfig(**MODEL)

    assert ModelConfig.model_validate_json(config.model_dump_json()) == config
