"""The exceptions that entry points print as one line."""


class UserError(Exception):
    """A mistake of the user's, in one line."""


class DamageError(UserError):
    """A file that does not hold what was written to it; the message names it."""
