"""A model: a network together with all that is needed to use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_unetpp.nn._unetpp import UNetPlusPlus, build_network

if TYPE_CHECKING:
    from napari_unetpp.config import ModelConfig
    from napari_unetpp.nn._unetpp import Network


@dataclass(frozen=True, slots=True)
class Model:
    """A network with its config, classes, intensity rule and training record.

    Attributes
    ----------
    network : Network
        The network; its own config equals ``config.network``.
    config : ModelConfig
        Everything else, as saved in the header of the model file.
    """

    network: Network
    config: ModelConfig

    @classmethod
    def new(cls, config: ModelConfig) -> Model:
        """Return a model with random weights."""
        return cls(build_network(config.network), config)

    def prune(self, level: int) -> Model:
        """Return the smaller model whose last head is head `level` of this one."""
        if not isinstance(self.network, UNetPlusPlus):
            self.network.check_level(level)
            return self
        network = self.network.prune(level)
        config = self.config.model_copy(
            update={
                "network": network.config,
                "temperatures": self.config.temperatures[:level],
                "head_weights": self.config.head_weights[:level],
            }
        )
        return Model(network, config)

    @property
    def temperatures(self) -> tuple[float, ...]:
        """What the logits of each head are divided by, head 1 first."""
        return self.config.temperatures or (1.0,) * self.config.network.n_heads

    def head_weights(self, level: int) -> tuple[float, ...]:
        """Return the shares of the heads in their mean at a level, 1 in sum.

        Those of the heads 1...`level`; of a U-Net that of its only head.
        """
        n = min(level, self.config.network.n_heads)
        found = self.config.head_weights
        return found[n - 1] if found else (1 / n,) * n

    @property
    def n_parameters(self) -> int:
        """Number of weights."""
        return sum(p.numel() for p in self.network.parameters())

    def __repr__(self) -> str:
        c = self.config
        if c.network.program is not None:
            return (
                f"Model({c.name!r}: {c.network.spatial_dims}-D {c.task}, classes"
                f" {', '.join(c.class_names)}; {c.network.program.kind} program of"
                f" {c.network.program.n_bytes:,} bytes)"
            )
        return (
            f"Model({c.name!r}: {c.network.spatial_dims}-D {c.task}, classes"
            f" {', '.join(c.class_names)}; {type(self.network).__name__} of widths"
            f" {c.network.widths}, {self.n_parameters:,} parameters)"
        )
