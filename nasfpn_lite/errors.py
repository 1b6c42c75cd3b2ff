"""The one exception that means "the user can mend this"; every command prints it without a traceback."""


class UserError(Exception):
    """Something a user can mend. The message says what was expected, what came and what to do."""
