"""Programs that others made, run as networks: TorchScript and ONNX.

A program is bytes in the file of a model. Its answer is turned into logits, so that all
that follows (tiles, temperatures, objects) is the same as for our own networks.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import torch
from torch.nn import functional as F

from napari_unetpp._types import slices
from napari_unetpp.errors import ModelFileError, SettingsError
from napari_unetpp.nn._unetpp import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from napari_unetpp.config import NetworkConfig, ProgramConfig

_EPS = 1e-6
"""Probabilities are kept this far from 0 and 1, where logits end."""

_CLASS = re.compile(r"\b__torch__(?:\.\w+)*")
_TEXT = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'')
_OPERATOR = re.compile(r"\b(?:torch|ops)\b((?:\s*\.\s*\w+)*)")
_METHOD = re.compile(r"\.\s*(\w+)\s*\(")
_FAMILY = re.compile(r"forward\d*|_?upsample_\w+")
_DEFINED = re.compile(r"\bdef\s+(\w+)")

_SAFE = frozenset(
    """
    __and__ __contains__ __derive_index __getitem__ __isnot__ __is__ __not__ __or__
    __range_length abs adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    adaptive_max_pool2d adaptive_max_pool3d add add_ addmm all alpha_dropout amax amin
    any append arange argmax avg_pool2d avg_pool3d batch_norm bmm broadcast_tensors cat
    ceil celu chunk clamp clamp_ clone constant_pad_nd contiguous conv1d conv2d conv3d
    conv_transpose1d conv_transpose2d conv_transpose3d convolution cumsum detach device
    dim div div_ dropout dropout_ einsum elu elu_ embedding empty eq exp expand
    expand_as extend feature_dropout flatten flip floor floor_divide floordiv format
    full full_like ge gelu group_norm gt hardsigmoid hardsigmoid_ hardswish hardswish_
    hardtanh hardtanh_ index index_select instance_norm interpolate is_floating_point
    item layer_norm le leaky_relu leaky_relu_ len linear list log log_softmax
    logical_and logical_not logical_or lt masked_fill masked_fill_ matmul max
    max_pool1d max_pool2d max_pool2d_with_indices max_pool3d mean
    meshgrid min mish mish_ movedim mul mul_
    narrow ne neg new_zeros norm numel ones ones_like pad permute pixel_shuffle
    pixel_unshuffle pow prelu prod reciprocal reflection_pad1d reflection_pad2d
    reflection_pad3d relu relu6 relu6_ relu_ remainder repeat repeat_interleave
    replication_pad1d replication_pad2d replication_pad3d reshape reverse
    roll round rsqrt rsub
    scalar_tensor scaled_dot_product_attention select selu selu_ sigmoid sigmoid_ sign
    silu silu_ size slice softmax softplus sort split split_with_sizes sqrt square
    squeeze squeeze_ stack std sub sub_ sum t tanh tanh_ tensor tensor_split to
    transpose true_divide type_as unbind unfold unsqueeze unsqueeze_ upsample_bicubic2d
    upsample_bilinear2d upsample_nearest2d upsample_nearest3d upsample_trilinear3d var
    view warn where zeros zeros_like NumToTensor RaiseException ListConstruct
    TupleConstruct dtype is_cuda data min max layout isinstance unchecked_cast
    unchecked_unwrap_optional Uninitialized _convolution _set_item _softmax
    """.split()  # noqa: SIM905 - a table of words, not of quotation marks
)
"""What a TorchScript program may call: sums over its pixels. What reads or writes files
is not among it, so that a model's file stays one that only computes."""


class ProgramNetwork(Network):
    """A program of others behind the face of a network with one head.

    Parameters
    ----------
    config : NetworkConfig
        With ``program``, which says how it is run and what its answer means.

    Attributes
    ----------
    program : Tensor of uint8, (n_bytes,)
        The program itself, so that it lies in the file of the model.
    """

    program: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        self.how = cast("ProgramConfig", config.program)
        empty = torch.zeros(self.how.n_bytes, dtype=torch.uint8)
        self.register_buffer("program", empty)
        self._running: dict[torch.device, Callable[[Tensor], Tensor]] = {}

    def __deepcopy__(self, _: dict[int, Any]) -> ProgramNetwork:
        """Return another runner of the same program."""
        copied = ProgramNetwork(self.config)
        copied.program = self.program
        return copied.train(self.training)

    def check_level(self, level: int | None) -> int:
        """Return the depth, the only level there is; refuse any other."""
        if super().check_level(level) != self.config.depth:
            raise SettingsError(
                f"level {level}: an imported program has one head only; use a UNet++"
                " model for fast mode at a shallower level"
            )
        return self.config.depth

    def receptive_field(self, level: int | None = None) -> tuple[int, ...]:
        """Return how far the program looks along each axis, as it was imported."""
        self.check_level(level)
        return self.how.halo

    def forward(self, x: Tensor, level: int | None = None) -> tuple[Tensor, ...]:
        """Return the logits of the classes as a tuple of one.

        Parameters
        ----------
        x : Tensor
            Normalised image of shape (N, in_channels, (Z,) Y, X).
        level : int, optional
            Only the depth is taken.

        Returns
        -------
        tuple of Tensor
            One tensor (N, out_channels, (Z,) Y, X).

        Raises
        ------
        ModelFileError
            If the program cannot be run, or gives something else than it should.
        """
        self.check_input(x, self.check_level(level))
        return (logits_of(self.how, self.raw(x)),)

    def raw(self, x: Tensor) -> Tensor:
        """Return what the program answers (N, n_channels, *S) to pixels (N, C, *S)."""
        size, axes = x.shape[2:], "zyx"[3 - self.config.spatial_dims :]
        lacking = [
            max(0, n - have) for n, have in zip(self.how.least, size, strict=True)
        ]
        if any(lacking):
            edges = [part for n in reversed(lacking) for part in (0, n)]
            x = F.pad(x, edges, mode="replicate")
        run = self._running.get(x.device) or self._start(x.device)
        if "b" in self.how.input_axes:
            found = self._ordered(run, x, axes)
        else:
            found = torch.cat(
                [self._ordered(run, x[i : i + 1], axes) for i in range(len(x))]
            )
        if found.shape != (len(x), self.how.n_channels, *x.shape[2:]):
            raise ModelFileError(
                f"the imported program answered {tuple(x.shape)} with"
                f" {tuple(found.shape)}, not with {self.how.n_channels} channels of the"
                " same size; import it again"
            )
        kept: Any = (..., *slices(tuple((0, n) for n in size)))
        return found[kept].float()

    def _ordered(self, run: Callable[[Tensor], Tensor], x: Tensor, axes: str) -> Tensor:
        """Run it with axes in its order, and return (N, C, *S)."""
        ours = "bc" + axes
        return in_order(
            run(in_order(x, ours, self.how.input_axes)), self.how.output_axes, ours
        )

    def _start(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        start = {"torchscript": _torchscript, "onnx": _onnx}[self.how.kind]
        content = self.program.cpu().numpy().tobytes()
        self._running[device] = start(content, self.how.output, device)
        return self._running[device]


def in_order(x: Tensor, axes: str, wanted: str) -> Tensor:
    """Return `x` with its axes in another order; those of one pixel come and go."""
    for letter in axes:
        if letter not in wanted:
            x = x.squeeze(axes.index(letter))
            axes = axes.replace(letter, "")
    for letter in wanted:
        if letter not in axes:
            x, axes = x.unsqueeze(0), letter + axes
    return x.permute([axes.index(letter) for letter in wanted]).contiguous()


def logits_of(how: ProgramConfig, raw: Tensor) -> Tensor:
    """Return logits (N, K, *S) that stand for the same probabilities as an answer.

    Parameters
    ----------
    how : ProgramConfig
        What the channels mean.
    raw : Tensor
        What the program answered, (N, n_channels, *S).
    """
    if how.meaning == "exclusive":
        return raw if how.activation == "softmax" else chances_of(how, raw).log()
    if how.meaning == "independent":
        odds = raw if how.activation == "sigmoid" else chances_of(how, raw).logit()
        return torch.cat([torch.zeros_like(odds[:, :1]), odds], dim=1)
    found = chances_of(how, raw)
    inside, outline = found[:, :1], found[:, 1:]
    parts = [1 - inside, inside * (1 - outline), inside * outline]
    return torch.cat(parts, dim=1).log()


def chances_of(how: ProgramConfig, raw: Tensor) -> Tensor:
    """Return the probabilities (N, n_channels, *S) of an answer, not quite 0 or 1."""
    if how.activation == "sigmoid":
        raw = raw.sigmoid()
    elif how.activation == "softmax":
        raw = raw.softmax(dim=1)
    return raw.clamp(_EPS, 1 - _EPS)


def check_torchscript(content: bytes) -> None:
    """Refuse a TorchScript program that calls what no network needs.

    Raises
    ------
    ModelFileError
        If it is none, or calls something else than sums over pixels.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            code = [
                archive.read(name).decode("utf-8", "replace")
                for name in archive.namelist()
                if name.endswith(".py") and "/code/" in name
            ]
    except zipfile.BadZipFile as error:
        raise ModelFileError(
            f"the program is not TorchScript ({error}); use weights of the format"
            " torchscript or onnx"
        ) from error
    strange = sorted({name for text in code for name in _strange(_TEXT.sub("", text))})
    if strange or not code:
        raise ModelFileError(
            f"the TorchScript program calls {', '.join(strange[:5]) or 'nothing'},"
            " which is not among what networks need, so it is not run: use its ONNX"
            " weights, or ask for the name to be added"
        )


def _strange(code: str) -> Iterator[str]:
    """Yield what a program calls that networks have no need for."""
    code = _CLASS.sub("", code)
    own = {*_DEFINED.findall(code)}
    yield from (name for name in own - _SAFE if hasattr(torch.ops.aten, name))
    for chain in _OPERATOR.findall(code):
        name = "".join(chain.split()).rpartition(".")[2]
        if not _is_safe(name):
            yield name or "torch"
    for name in _METHOD.findall(code):
        if not _is_safe(name) and name not in own:
            yield name


def _is_safe(name: str) -> bool:
    return name in _SAFE or _FAMILY.fullmatch(name) is not None


def _torchscript(
    content: bytes, output: int, device: torch.device
) -> Callable[[Tensor], Tensor]:
    check_torchscript(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls TorchScript old
        try:
            load: Any = torch.jit.load
            program = load(io.BytesIO(content), map_location=device)
        except RuntimeError as error:
            raise ModelFileError(
                f"the TorchScript program cannot be loaded ({error}); it may need"
                " another version of torch: use its ONNX weights"
            ) from error
    program.eval()

    def run(x: Tensor) -> Tensor:
        found = program(x)
        return cast("Tensor", _picked(found, output))

    return run


def _onnx(
    content: bytes, output: int, device: torch.device
) -> Callable[[Tensor], Tensor]:
    if find_spec("onnxruntime") is None:
        raise ModelFileError(
            "this model is an ONNX program, and onnxruntime is not installed:"
            ' pip install "napari-unetpp[onnx]"'
        )
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    # Its errors share no base of their own.
    errors = tuple(each for each in vars(state).values() if _is_error(each))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what goes wrong is raised
    try:
        session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
    except errors as error:
        raise ModelFileError(f"the ONNX program cannot be loaded ({error})") from error
    name = session.get_inputs()[0].name

    def run(x: Tensor) -> Tensor:
        try:
            found = session.run(None, {name: x.cpu().numpy()})
        except errors as error:
            raise ModelFileError(f"the ONNX program failed ({error})") from error
        return torch.from_numpy(found[output]).to(device)

    return run


def _is_error(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Exception)


def _picked(found: Any, output: int) -> Any:
    """Return one of several outputs."""
    if isinstance(found, dict):
        found = list(found.values())
    if isinstance(found, list | tuple):
        return found[output]
    return found
