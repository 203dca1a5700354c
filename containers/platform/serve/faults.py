"""What a client, or whoever runs this, has to mend, in a sentence; and what MLflow calls that."""


class AnswerError(Exception):
    """An answer that is no prediction, of the kinds that MLflow's server has."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


CODES = {
    400: "BAD_REQUEST",
    404: "ENDPOINT_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "REQUEST_LIMIT_EXCEEDED",
    415: "UNSUPPORTED_MEDIA_TYPE",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}


def bad_request(sentence: str) -> AnswerError:
    """Return what it means that a request cannot be understood."""
    return AnswerError(400, sentence)


class RefusedError(Exception):
    """A version cannot be served, and will not be by trying again."""


class AwayError(Exception):
    """MLflow does not answer now, or not as MLflow does."""
