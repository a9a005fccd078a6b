"""The model that is trained: where it comes from, and on which device it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from turnwise.agents.errors import ConfigError, MissingExtra
from turnwise.agents.quiet import without_progress_bars


@dataclass(frozen=True)
class ModelConfig:
    """Where the model comes from."""

    path: str = ""
    """A name on the Hugging Face hub, or a local folder; required."""
    device: str = "auto"
    """auto (CUDA where there is one, else the CPU), or a torch device such as cpu or cuda:1."""
    trust_remote_code: bool = False
    """Whether code that comes with the model may run."""


def pick_device(name: str) -> Any:
    """Returns the torch device that a name stands for.

    Raises:
        ConfigError: The name is not a device, or it names CUDA where there is none.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"model.device={name!r} is not a device: use auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"model.device={name!r}, but torch sees no CUDA device: use auto or cpu")
    return device


def load_model(config: ModelConfig) -> tuple[Any, Any]:
    """Loads a causal language model and its tokenizer.

    Returns:
        The model, in eval mode on its device, its master weights in float32 (small updates vanish in half precision;
        the learner multiplies in bfloat16 on CUDA), and the tokenizer, which has a padding token.

    Raises:
        ConfigError: The path is missing or nothing can be loaded from it.
        MissingExtra: torch or transformers is not installed.
    """
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise MissingExtra(error.name or "transformers", "train") from error
    if not config.path:
        raise ConfigError("model.path is empty: give a name on the Hugging Face hub or a local folder")
    options = {"trust_remote_code": config.trust_remote_code}
    try:
        with without_progress_bars():
            tokenizer = AutoTokenizer.from_pretrained(config.path, **options)
            model = AutoModelForCausalLM.from_pretrained(config.path, dtype=torch.float32, **options)
    except (OSError, ValueError) as error:
        raise ConfigError(f"model.path={config.path!r}: nothing to load there: {error}") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model.to(pick_device(config.device)).eval(), tokenizer
