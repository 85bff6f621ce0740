"""Every error that napari-unetpp raises on purpose.

Each message names the value that was refused, the rule it broke and the cure, so
that the command line, the console and the panel can show it as it is::

    UnetppError
    ├── InputError (ValueError)         what the user handed over cannot be used
    │   ├── ImageError                  an image: missing, unreadable, empty, not finite
    │   │   └── ImageGoneError          an image that was there and is there no more
    │   ├── AxesError                   an axes string or channels that do not fit
    │   ├── LabelsError                 labels that do not fit the image or the task
    │   ├── RecipeError                 a recipe that cannot be read or followed
    │   └── SettingsError               a setting outside its range
    ├── ModelFileError (ValueError)     not a model, damaged, or one that runs code
    ├── OutputError (OSError)           a result that cannot be written
    │   ├── OutputExistsError           a result that would overwrite another
    │   ├── OutputBusyError             a job that another process works on
    │   └── JobChangedError             a job that was begun with other settings
    ├── DeviceError (RuntimeError)      a device that is not there
    │   └── DeviceMemoryError           a device too small for the smallest tile
    └── TrainingError (RuntimeError)    training that cannot go on
"""


class UnetppError(Exception):
    """Base of all errors raised on purpose by napari-unetpp."""


class InputError(UnetppError, ValueError):
    """What the user handed over cannot be used."""


class ImageError(InputError):
    """An image that is missing, unreadable, empty or has no finite pixels."""


class ImageGoneError(ImageError):
    """An image that has been moved or deleted while it was read."""


class AxesError(InputError):
    """An axes string that does not fit, or channels that the model does not take."""


class LabelsError(InputError):
    """Labels that do not fit their image or the task."""


class RecipeError(InputError):
    """A recipe that is missing or damaged, or asks for what is not there."""


class SettingsError(InputError):
    """A setting outside its range, or two settings that exclude each other."""


class ModelFileError(UnetppError, ValueError):
    """A file that is not a model, is damaged, or would run code when loaded."""


class OutputError(UnetppError, OSError):
    """A result that cannot be written."""


class OutputExistsError(OutputError):
    """A result that would overwrite an existing file."""


class OutputBusyError(OutputError):
    """A result that another process is making right now."""


class JobChangedError(OutputError):
    """An unfinished job that was begun with another image, model or setting."""


class DeviceError(UnetppError, RuntimeError):
    """A device that was asked for and is not there."""


class DeviceMemoryError(DeviceError):
    """A device whose memory does not hold even the smallest tile."""


class TrainingError(UnetppError, RuntimeError):
    """Training that cannot start or cannot go on."""
