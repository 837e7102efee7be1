"""What a person can be told.

Every exception here carries one sentence that says what is wrong, with the values, and what to
do. The docks show that sentence, the command line prints it and exits with 1. Anything else that
is raised is our own mistake and keeps its traceback.
"""


class UserError(Exception):
    """Something a person can mend; ``str(error)`` is the sentence to show."""


class DataError(UserError):
    """Arrays, layers or files that cannot be used as they are."""


class ConfigError(UserError):
    """A value, a field or a file of parameters that is refused."""


class RunError(UserError):
    """A run folder that cannot be made, read or written."""


class DeviceError(UserError):
    """A device that is not there, or whose memory does not suffice."""


class NonFiniteLossError(UserError):
    """The loss became NaN or infinite, and training stopped."""
