import asyncio
import email.utils
import time

import pytest

from turnwise.agents.engines.retrying import Backoff, TransientError, retry_after
from turnwise.agents.errors import EngineError


def test_waits_double_up_to_a_minute_and_vary_by_half():
    backoff = Backoff(retries=9, first=2.0)
    for attempt, middle in ((0, 2.0), (1, 4.0), (3, 16.0), (20, 60.0)):
        waits = [backoff.seconds(attempt, None) for _ in range(200)]
        assert 0.5 * middle <= min(waits) < 0.8 * middle
        assert 1.2 * middle < max(waits) <= 1.5 * middle


def test_a_wait_is_never_shorter_than_the_server_asks_for():
    assert Backoff(retries=1, first=0.001).seconds(0, 7.0) == 7.0
    assert Backoff(retries=1, first=100.0).seconds(0, 7.0) >= 30.0


def test_retries_are_counted_and_end():
    counted, tried = [], []

    async def attempt():
        tried.append(1)
        raise TransientError("busy") from OSError("cause")

    with pytest.raises(EngineError, match=r"busy \(tried 3 times\)") as caught:
        asyncio.run(Backoff(retries=2, first=0.0).run(attempt, lambda: counted.append(1)))
    assert (len(tried), len(counted)) == (3, 2)
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize(("value", "seconds"), [(None, None), ("1.5", 1.5), ("-3", 0.0), ("soon", None)])
def test_a_number_of_seconds_is_read(value, seconds):
    assert retry_after({} if value is None else {"retry-after": value}) == seconds


def test_a_date_is_read():
    asked = retry_after({"retry-after": email.utils.formatdate(time.time() + 100, usegmt=True)})
    assert 95 < asked <= 100
