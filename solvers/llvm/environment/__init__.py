"""Compiler passes as actions: Gymnasium environment with CompilerGym's vocabulary on LLVM 22.

`make` returns an environment, ours or CompilerGym's own through an adapter. `register` adds ours to
Gymnasium's registry. Needs the extra `gym` (Gymnasium).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Literal

# CompilerGym's ids, with the observation and reward space of each.
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
    """Make an environment by CompilerGym's id.

    backend "llvm": `CompilerEnv` on the installed LLVM 22. `options` are its arguments; `benchmark`
    is required.
    backend "compiler_gym": CompilerGym's own environment (LLVM 10) with the same methods. `options`
    are the arguments of `compiler_gym.make`.

    Raises ValueError for an unknown id or backend, ModuleNotFoundError when a package is missing.
    """
    if backend == "compiler_gym":
        from solvers.llvm.environment.compiler_gym_adapter import make_compiler_gym

        return make_compiler_gym(name, **options)
    if backend != "llvm":
        raise ValueError(f"backend: expected 'llvm' or 'compiler_gym', got {backend!r}")
    if name not in IDS:
        raise ValueError(f"environment: expected one of {', '.join(IDS)}, got {name!r}")
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
    """Add the ids to Gymnasium's registry, for `gymnasium.make("trimtab/llvm-ic-v0", benchmark=…)`.

    Importing this package does not add them.
    """
    import gymnasium

    for name, arguments in IDS.items():
        gymnasium.register(
            id=f"trimtab/{name}",
            entry_point=ENTRY,
            kwargs=dict(arguments),
            order_enforce=False,
        )
