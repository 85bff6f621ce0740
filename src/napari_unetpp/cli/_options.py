"""The options of the commands: each is defined once, with the help that users read."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from napari_unetpp.config import Mode, Nonfinite, Task

_PAIRS = "Files, folders or patterns; several may follow."

Images = Annotated[
    list[Path],
    typer.Argument(
        metavar="IMAGE",
        help="Images: TIFF, OME-Zarr, PNG, JPEG or NumPy files, folders of them, or"
        " patterns.",
        show_default=False,
    ),
]
OutputFolder = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="DIR", help="Folder for the results; made if needed."
    ),
]
ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME|FILE",
        help="Bundled model (`napari-unetpp info` lists them), or model file.",
    ),
]
ModelTask = Annotated[
    Task | None,
    typer.Option(
        "--type",
        help="What the model must find; the model itself knows, so this is a check.",
        show_default=False,
    ),
]
Save = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,...",
        help="Results to write, of labels, mean, heads, uncertainty; by default all"
        " that the mode has.",
        show_default=False,
    ),
]
RunMode = Annotated[
    Mode,
    typer.Option(
        "--mode", help="accurate: the mean of the heads; fast: the last head alone."
    ),
]
Level = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Deepest level of the network that is computed; all by default.",
        show_default=False,
    ),
]
Axes = Annotated[
    str | None,
    typer.Option(
        metavar="LETTERS",
        help="Axes of the images as stored, such as ZCYX, where the file does not say.",
        show_default=False,
    ),
]
Channel = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="The one channel to use, counted from 0; all by default.",
        show_default=False,
    ),
]
Device = Annotated[
    str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.")
]
Diameter = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Diameter of the objects in the images, in pixels (24) or as a length"
        " (12um); auto measures it. Images are read at the size that the model has"
        " learnt.",
        show_default=False,
    ),
]
TileEdge = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Edge of a tile in pixels; chosen from the memory by default. The result"
        " is the same for any.",
        show_default=False,
    ),
]
Batch = Annotated[int, typer.Option(metavar="N", help="Tiles computed together.")]
OnNonfinite = Annotated[
    Nonfinite,
    typer.Option(
        "--nonfinite", help="NaN and infinite pixels: refuse, or take as background."
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace results that are already there.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the results as JSON on standard output.")
]
ImageFiles = Annotated[
    list[Path],
    typer.Option("--images", metavar="PATH...", help=f"The images. {_PAIRS}"),
]
LabelFiles = Annotated[
    list[Path],
    typer.Option(
        "--labels",
        metavar="PATH...",
        help=f"Their labels, in the same order. {_PAIRS}",
    ),
]
Link = Annotated[
    bool,
    typer.Option(
        "--link",
        help="Join the objects of neighbouring Z planes into objects of the stack"
        " (2-D models).",
    ),
]
Tta = Annotated[
    bool,
    typer.Option(
        "--tta",
        help="Average over the flips and right-angle turns of the image: usually a"
        " little better, for eight times the work.",
    ),
]
Precision = Annotated[
    Literal["auto", "float32", "bfloat16"],
    typer.Option(
        help="Of the network: bfloat16 is faster where the device computes with it"
        " (auto takes it there) and changes few labels; float32 is exact.",
    ),
]
Adaptive = Annotated[
    float | None,
    typer.Option(
        metavar="TOLERANCE",
        help="Compute deep levels only where they matter: what another level may still"
        " change of a probability, such as 0.1 (UNet++ on a CPU).",
        show_default=False,
    ),
]
Format = Annotated[
    Literal["auto", "tif", "zarr"],
    typer.Option(
        "--format", help="TIFF files, or OME-Zarr; auto: zarr for huge images."
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Most memory that the run may take, such as 4GB; tiles are chosen to fit.",
        show_default=False,
    ),
]
MaskFile = Annotated[
    Path | None,
    typer.Option(
        "--mask",
        metavar="FILE",
        help="Image of the same size: only where it is not 0 is anything looked for.",
        show_default=False,
    ),
]
SkipBad = Annotated[
    bool,
    typer.Option(
        "--skip-bad",
        help="Go on past pieces of an image that cannot be read; they are listed.",
    ),
]
NumberOfWorkers = Annotated[
    int,
    typer.Option(
        "--workers", metavar="N", help="Processes on this machine; one for each GPU."
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="tcp://HOST:PORT",
        help="Work on the dask cluster whose scheduler this is.",
        show_default=False,
    ),
]
Shard = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Do part I of N, counted from 1; run all N, on machines that share DIR.",
        show_default=False,
    ),
]
Probabilities = Annotated[
    Literal["uint8", "float16"],
    typer.Option(
        "--probabilities", help="How they are stored: steps of 1/255, or half floats."
    ),
]
OmeZarr = Annotated[
    Literal["0.5", "0.4"], typer.Option("--ome-zarr", help="Version of OME-Zarr.")
]
LabelsBeside = Annotated[
    bool,
    typer.Option(
        "--labels-beside", help="Put the labels into the image's own OME-Zarr folder."
    ),
]
DemoFolder = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for all files.")
]
NewModel = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="MODEL.safetensors", help="Model file to write."
    ),
]
Base = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE|none", help="Model to start from; none: random weights."
    ),
]
TrainedTask = Annotated[
    Task,
    typer.Option(
        "--type",
        help="instances: labels number the objects; classes: they name a class.",
    ),
]
Unlabelled = Annotated[
    int | None,
    typer.Option(
        metavar="VALUE",
        help="Label value of pixels that nobody labelled; they are not counted.",
        show_default=False,
    ),
]
Size = Annotated[
    Literal["small", "base", "paper"], typer.Option(help="Size of a new network.")
]
Epochs = Annotated[
    int | None,
    typer.Option(metavar="N", help="Epochs to train.", show_default=False),
]
Minutes = Annotated[
    float | None,
    typer.Option(
        metavar="M",
        help="Minutes to train; ten, if neither is given.",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option(metavar="N", help="Start of the random numbers.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with a training that was stopped.")
]
ClassNames = Annotated[
    str | None,
    typer.Option(
        metavar="VALUE=NAME,...",
        help="Names of classes, such as 1=nucleus,2=membrane.",
        show_default=False,
    ),
]
SaveRecipe = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.yaml",
        help="Write all of this down, to be done again by 'run FILE.yaml'.",
        show_default=False,
    ),
]
RecipeFile = Annotated[
    Path,
    typer.Argument(metavar="FILE.yaml", help="The recipe.", show_default=False),
]
RecipeOutput = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="Model file, or folder for results, in place of the recipe's.",
        show_default=False,
    ),
]
RecipeDevice = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="NAME",
        help="auto, cpu, cuda, cuda:N or mps, in place of the recipe's.",
        show_default=False,
    ),
]
InfoModel = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME|FILE",
        help="Bundled model, model file, or result (.tif, .ome.zarr) to tell of.",
        show_default=False,
    ),
]
InfoImage = Annotated[
    Path | None,
    typer.Option(
        "--image",
        metavar="FILE",
        help="Tell what the segmentation of this image will take: device, memory, tiles"
        " and time.",
        show_default=False,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Write nothing: tell device, memory, tiles and time, by a piece of each"
        " image.",
    ),
]
ShowRecipe = Annotated[
    bool,
    typer.Option(
        "--recipe", help="Print the recipe that made the model, ready to be run."
    ),
]
JsonFile = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        help="Write all scores to a JSON file; - prints them instead of the table.",
        show_default=False,
    ),
]
CsvFile = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        metavar="FILE",
        help="Write a table to a CSV file: a row for each image and head, and one for"
        " each head over all images.",
        show_default=False,
    ),
]
Pictures = Annotated[
    Path | None,
    typer.Option(
        "--pictures",
        metavar="DIR",
        help="Write pictures of the worst images there, their errors marked.",
        show_default=False,
    ),
]
Worst = Annotated[
    int,
    typer.Option("--worst", metavar="N", min=1, help="How many images get a picture."),
]
BoundaryTolerance = Annotated[
    float,
    typer.Option(
        metavar="PX",
        min=0,
        help="Distance up to which two outlines are taken for the same.",
    ),
]
STDOUT = Path("-")
