from datetime import UTC, datetime, timedelta, timezone

from rnnlab.storage.status import folder_name


def test_the_folder_name_holds_the_time_in_utc() -> None:
    moment = datetime(2026, 11, 22, 10, 25, 31, tzinfo=UTC)
    assert folder_name("a", moment).startswith("20261122T102531Z-a-")
    assert folder_name("a", moment.astimezone(timezone(timedelta(hours=-9)))).startswith("20261122T102531Z-a-")
