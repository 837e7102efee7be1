"""How the project compiles its loops: without the interpreter lock, once per machine."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

# Loops that only compare and add may be vectorised: no NaN ever enters them, and the sign of a
# zero means nothing to a squared distance. Infinity does mean something (no interface yet), and
# sums keep their order.
_FAST_MATH = {"nnan", "nsz"}


def compiled(signature: str | None = None) -> Callable[[Function], Function]:
    """Compile a function with numba, releasing the interpreter lock.

    Parameters
    ----------
    signature
        The types of an entry point, compiled when its module is imported and kept on disk for
        the next process (beside the module, or in the user's cache folder where that cannot be
        written, or not at all where neither can). Without it the function serves other compiled
        functions of the same file and is compiled into them. Of the same file: numba looks at
        no other file's age when it reads what it kept.
    """

    def decorate(function: Function) -> Function:
        options: dict[str, Any] = {
            "nogil": True,
            "fastmath": _FAST_MATH,
            "error_model": "numpy",
        }
        decorated: Any
        if signature is None:
            decorated = numba.njit(**options)(function)
        else:
            try:
                decorated = numba.njit(signature, cache=True, **options)(function)
            except RuntimeError as error:
                if "cannot cache" not in str(error):
                    raise
                decorated = numba.njit(signature, **options)(function)
        return cast(Function, decorated)

    return decorate
