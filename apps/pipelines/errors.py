"""What can be wrong with an answer."""


class InvalidAnswerError(ValueError):
    """An answer that cannot be used; the model is told ``message`` and asked once more.

    ``index`` is the position of the call among those of its item, from 0.
    """

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index
        self.message = message
