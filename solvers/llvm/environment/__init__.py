"""Passes as actions: a Gymnasium environment with CompilerGym's vocabulary on LLVM 22, and an adapter to CompilerGym itself.

Needs the extra `gym` (Gymnasium). `make` is the entry; `register` puts the environments into Gymnasium's own registry.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Literal

# CompilerGym's ids: what is observed and what is rewarded
IDS = MappingProxyType(
    {
        "llvm-v0": {},
        "llvm-ic-v0": {
            "observation_space": "IrInstructionCount",
            "reward_space": "IrInstructionCountOz",
        },
        "llvm-autophase-ic-v0": {
            "observation_space": "Autophase",
            "reward_space": "IrInstructionCountOz",
        },
        "llvm-instcount-ic-v0": {
            "observation_space": "InstCountNorm",
            "reward_space": "IrInstructionCountOz",
        },
        "llvm-codesize-v0": {
            "observation_space": "ObjectTextSizeBytes",
            "reward_space": "ObjectTextSizeBytesOz",
        },
        "llvm-autophase-codesize-v0": {
            "observation_space": "Autophase",
            "reward_space": "ObjectTextSizeBytesOz",
        },
    }
)
ENTRY = "solvers.llvm.environment.env:CompilerEnv"


def make(
    name: str = "llvm-autophase-ic-v0",
    *,
    backend: Literal["llvm", "compiler_gym"] = "llvm",
    **options: Any,
) -> Any:
    """An environment by CompilerGym's id.

    backend "llvm": ours, on the installed LLVM 22; `options` are `CompilerEnv`'s, `benchmark` at least.
    backend "compiler_gym": CompilerGym's own (LLVM 10) behind the same methods; `options` go to `compiler_gym.make`.
    Raises ValueError for an unknown id or backend, ModuleNotFoundError with what to install.
    """
    if backend == "compiler_gym":
        from solvers.llvm.environment.compiler_gym_adapter import make_compiler_gym

        return make_compiler_gym(name, **options)
    if backend != "llvm":
        raise ValueError(f"backend {backend!r}; wanted 'llvm' or 'compiler_gym'")
    if name not in IDS:
        raise ValueError(f"environment {name!r} is unknown; known: {', '.join(IDS)}")
    try:
        from gymnasium.envs.registration import EnvSpec
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the environment needs Gymnasium: pip install 'gymnasium>=1.4'"
        ) from error
    from solvers.llvm.environment.env import CompilerEnv

    arguments = {**IDS[name], **options}
    env = CompilerEnv(**arguments)
    env.spec = EnvSpec(id=name, entry_point=ENTRY, kwargs=arguments)
    return env


def register() -> None:
    """Make the ids known to `gymnasium.make("trimtab/llvm-ic-v0", benchmark=…)`. Not done by importing."""
    import gymnasium

    for name, arguments in IDS.items():
        gymnasium.register(
            id=f"trimtab/{name}",
            entry_point=ENTRY,
            kwargs=dict(arguments),
            order_enforce=False,
        )
