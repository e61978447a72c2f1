"""The exception that entry points print as one line."""


class UserError(Exception):
    """A mistake of the user's, told in one line."""
