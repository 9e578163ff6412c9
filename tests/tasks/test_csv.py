"""CSV files as they come: each is read right, or refused with the option that mends it; none is wrong in silence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnlab.core.errors import UsageError
from rnnlab.tasks import _csv_table
from rnnlab.tasks._csv_options import CsvFile
from rnnlab.tasks._csv_table import Table, read_table

pytest.importorskip("pandas", reason="needs the extra `data`")

FORTY = [f"{t},{t}.5" for t in range(40)]


def read(folder: Path, rows: list[str] | str | bytes, **options: Any) -> Table:
    path = folder / "x.csv"
    content = rows if isinstance(rows, bytes) else (rows if isinstance(rows, str) else "\n".join(rows)).encode()
    path.write_bytes(content)
    return read_table(CsvFile(path=str(path), **{"target": 0, **options}))


def refused(folder: Path, rows: list[str] | str | bytes, **options: Any) -> str:
    with pytest.raises(UsageError) as error:
        read(folder, rows, **options)
    assert str(error.value).startswith(f"{folder}/x.csv:")
    return str(error.value).removeprefix(f"{folder}/x.csv:")


# --- what is read, whatever its form: two columns, t and t + 0.5 ------------------------------------------------------

FORMS: dict[str, tuple[list[str] | str | bytes, dict[str, Any]]] = {
    "comma": (["a,b", *FORTY], {}),
    "semicolon": (["a;b", *(row.replace(",", ";") for row in FORTY)], {}),
    "tab": (["a\tb", *(row.replace(",", "\t") for row in FORTY)], {}),
    "bar": (["a|b", *(row.replace(",", "|") for row in FORTY)], {}),
    "blanks": (["a b", *(row.replace(",", "    ") for row in FORTY)], {}),
    "another delimiter": (["a:b", *(row.replace(",", ":") for row in FORTY)], {"delimiter": ":"}),
    "decimal commas": (["a;b", *(f"{t};{t},5" for t in range(40))], {}),
    "decimal commas in quotes": (["a,b", *(f'{t},"{t},5"' for t in range(40))], {}),
    "quotes": (['"a","b"', *(f'"{t}","{t}.5"' for t in range(40))], {}),
    "a blank after each comma": (['"a", "b"', *(row.replace(",", ", ") for row in FORTY)], {}),
    "blanks around": (["a , b", *(f" {t} , {t}.5 " for t in range(40))], {}),
    "comments and empty lines": (["# first", "", "#", "   ", "a,b", *FORTY[:20], "  ", "# more", *FORTY[20:], ""], {}),
    "a quote in a comment": (['# 5" wide, or 3', '# 3" high', '"a","b"', *FORTY, '# 7" deep'], {}),
    "another comment": (["% first, second, third", "a,b", *FORTY], {"comment": "%"}),
    "windows": ("\r\n".join(["a,b", *FORTY]) + "\r\n", {}),
    "old mac": ("\r".join(["a,b", *FORTY]), {}),
    "byte order mark": (b"\xef\xbb\xbf" + "\n".join(["a,b", *FORTY]).encode(), {}),
    "no header": (FORTY, {"header": False}),
    "header of two rows": (["a,b", "degC,m/s", *FORTY], {"header": 2}),
    "exponents": (["a,b", *(f"{t}e0,{t * 10 + 5}E-1" for t in range(40))], {}),
    "names with delimiters": (['"a;1","b, with a comma"', *FORTY], {}),
    "a name over two lines": (['"a\n(unit)",b', *FORTY], {}),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_the_same_table(tmp_path: Path, form: str) -> None:
    rows, options = FORMS[form]
    found = read(tmp_path, rows, **options)
    np.testing.assert_array_equal(found.values, np.arange(40)[:, None] + [0.0, 0.5])
    expected = {
        "no header": ("column 0", "column 1"),
        "header of two rows": ("a degC", "b m/s"),
        "names with delimiters": ("a;1", "b, with a comma"),
        "a name over two lines": ("a\n(unit)", "b"),
    }
    assert found.names == expected.get(form, ("a", "b"))


# --- what can be read in two ways -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "both", "options"),
    [
        # two columns of whole numbers, or one of decimal commas
        ([f"{t},{t}" for t in range(40)], ["2 cells ['39', '39']", "1 cell ['39.39']"],
         [({"delimiter": ","}, (39, 39)), ({"decimal": ","}, (39.39,))]),
        # a decimal comma, or one between thousands
        (["a;b", *(f"{t};1,{100 + t}" for t in range(40))], ["1.104", "1104"], [({"decimal": ","}, (39, 1.139))]),
        # names, or the first row
        (["0", *(f"{t}.5" for t in range(40))], ["as names or as numbers"],
         [({"header": True}, (39.5,)), ({"header": False}, (39.5,))]),
        (["0;1", *(f"{t};{t + 3}" for t in range(40))], ["as names or as numbers"],
         [({"header": True}, (39, 42)), ({"header": False}, (39, 42))]),
    ],
)  # fmt: skip
def test_two_readings_are_both_shown_and_an_option_settles_it(
    tmp_path: Path, rows: list[str], both: list[str], options: list[tuple[dict[str, Any], tuple[float, ...]]]
) -> None:
    message = refused(tmp_path, rows)
    assert "can be read in two ways" in message
    assert all(shown in message for shown in both), message
    counts = []
    for given, last in options:
        found = read(tmp_path, rows, **given)
        assert tuple(found.values[-1]) == pytest.approx(last)
        counts.append(len(found.values))
    assert "header" not in options[0][0] or counts == [40, 41]


def test_days_and_months_that_can_be_exchanged(tmp_path: Path) -> None:
    rows = ["when,x", *(f"0{t % 9 + 1}/0{t // 9 + 1}/2020,{t}.5" for t in range(60))]
    message = refused(tmp_path, rows, time="when", target="x")
    assert "2020-01-02 (%d/%m/%Y) or 2020-02-01 (%m/%d/%Y)" in message
    assert read(tmp_path, rows, time="when", target="x", time_format="%d/%m/%Y").values[:, 0].tolist() == [
        t + 0.5 for t in range(60)
    ]
    by_month = read(tmp_path, rows, time="when", target="x", time_format="%m/%d/%Y").values[:, 0]
    assert by_month[:7].tolist() == [0.5, 9.5, 18.5, 27.5, 36.5, 45.5, 54.5]


# --- what is refused, and how it is mended ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ("", {}, " the file is empty"),
        ("\n\n# only\n", {}, " the file is empty"),
        (["a,b", *FORTY, "3,x\x1b[31m"], {}, r"42: 'x\x1b[31m' in column 1 (b) is not a number"),
        (["a,b", *FORTY, "3,x", "y,z"], {}, "42: 'x' in column 1 (b) is not a number; so are 2 more cells"),
        (["a,b", *FORTY, "", "nan,4"], {},
         "43: 1 cell in 1 row and 1 column are missing, the first 'nan' in column 0 (a)"),
        (["a,b", *FORTY, ",4"], {}, "42: 1 cell in 1 row and 1 column are missing, the first '' in column 0 (a)"),
        (["a,b", *FORTY, "1,2,3"], {}, "42: 3 cells where most rows have 2"),
        (["a,b", *FORTY, "NOAA: annual mean"], {}, "42: 'NOAA: annual mean' is a line of text, not a row of 2 cells"),
        (["a,b", *FORTY, "inf,3"], {}, "42: an infinite number in column 0 (a)"),
        (["Station 5", "a,b", *FORTY], {}, "1: 'Station 5' is a line of text, not a row of 2 cells"),
        (["x;y", *(f"1.{t + 100},5;2" for t in range(40))], {},
         "2: '1.100,5' in column 0 (x) is not a number; so are 39 more cells — take what separates thousands out"),
        (["price,close", "ticker,A", "date,", *(f"2020-01-{t:02},{t}.5" for t in range(1, 29))], {},
         "1: the first 3 rows have no number"),
        (["a,3", *FORTY], {}, "1: the first row mixes names and numbers: 'a' in column 0, '3' in column 1"),
        (["a,b", *FORTY], {"target": "B"}, " no column named 'B' — known: a, b"),
        (["a,a", *FORTY], {"target": "a"}, " 2 columns are named 'a' — give its index instead"),
        (["a,b", *FORTY], {"target": 2}, " no column 2 — the columns are 0 to 1"),
        (["a,b", *FORTY], {"ignore": (0, 1)}, " every column is ignored"),
        (["a,b", *FORTY], {"ignore": (0,), "target": "a"},
         " the target, column 'a', is ignored — remove it from `ignore`"),
        (["1,0", *FORTY], {"header": True, "target": 0},
         " column 0 can be the one at that place, from 0, or the one called '0'"),
        (b"a\n1\n\xe9\n", {}, " byte 4 is not UTF-8 — save the file as UTF-8"),
        ("a\n1\n2\n".encode("utf-16"), {}, " byte 0 is not UTF-8"),
        (b"a\n1\n\x00\n", {}, " byte 4 is NUL"),
        (["date,x", *(f"{2040 - t},{t}.5" for t in range(40))], {},
         "3: rows are not in order: column date has 2039 after 2040"),
        (["d,x", *(f"2020-02-{28 - t:02},{t}.5" for t in range(28))], {"ignore": ("d",), "target": "x"},
         "3: rows are not in order: column d has '2020-02-27' after '2020-02-28'"),
        (["d,x", *(f"2020-02-{t // 2 + 1:02},{t}.5" for t in range(56))], {"time": "d", "target": "x"},
         " lines 2 and 3 have the same time"),
        (["d,x", *(f"2020-02-{t + 1:02},{t}.5" for t in range(30))], {"time": "d", "target": "x"},
         "31: '2020-02-30' is no time, though others are (ISO 8601)"),
        (["a", *(f"{t}.5" for t in range(40)), "?"], {"missing": "interpolate"},
         "42: column a has no value in the last row"),
        (["a", "?", *(f"{t}.5" for t in range(40))], {"missing": "forward"},
         "2: column a has no value in the first row"),
    ],
)  # fmt: skip
def test_faults_name_the_line_and_what_mends_them(
    tmp_path: Path, rows: list[str] | str | bytes, options: dict[str, Any], message: str
) -> None:
    assert refused(tmp_path, rows, **options).startswith(message)


def test_a_series_per_row(tmp_path: Path) -> None:
    years = ",".join(map(str, range(1960, 1990)))
    by_country = [f"country,{years}", *(f"C{n},{','.join(str(n + t / 7) for t in range(30))}" for n in range(20))]
    assert "this looks like a series per row" in refused(tmp_path, by_country, ignore=("country",), target=1)
    sensors = ["date,s1,s2,s3,s4", *(f"2020-01-{t:02},{t}.5,{t},{t},{t}" for t in range(1, 29))]
    assert read(tmp_path, sensors, time="date", target="s1").names == ("s1", "s2", "s3", "s4")


# --- what is missing --------------------------------------------------------------------------------------------------


def test_missing_cells_are_filled_as_declared_within_each_series(tmp_path: Path) -> None:
    marks = {("A", 3): "?", ("A", 4): "NA", ("B", 5): "-999"}
    rows = ["s,x", *(f"{s},{marks.get((s, t), f'{t * t}.0')}" for t in range(12) for s in "AB")]
    options: dict[str, Any] = {"group": "s", "target": "x", "na_values": ("-999",)}
    assert "3 cells in 3 rows and 1 column are missing" in refused(tmp_path, rows, **options)
    squares = np.array([t * t for t in range(12)], float)
    for missing, expected in (("forward", ([4, 4], 16)), ("interpolate", ([4 + 7, 4 + 14], 26))):
        found = read(tmp_path, rows, missing=missing, **options)
        a, b = squares.copy(), squares.copy()
        a[3:5], b[5] = expected
        np.testing.assert_array_equal(found.values[:, 0], np.concatenate([a, b]))
        assert found.filled == {"x": 3}


# --- time, and several series -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M", "%Y%m%d"])
def test_rows_are_brought_into_the_order_of_their_times(tmp_path: Path, form: str) -> None:
    days = np.datetime64("2020-01-01") + np.arange(40)
    rows = [f"{day.item().strftime(form)},{t}.5" for t, day in enumerate(days)]
    shuffled = [rows[k] for k in np.random.default_rng(0).permutation(40)]
    found = read(tmp_path, ["d,x", *shuffled], time="d", target="x")
    assert found.values[:, 0].tolist() == [t + 0.5 for t in range(40)]
    assert not found.was_sorted
    assert found.times is not None
    if form != "%Y%m%d":
        np.testing.assert_array_equal(found.times, days.astype("datetime64[ns]"))


def test_times_in_zones_are_compared_as_instants(tmp_path: Path) -> None:
    """The hour of 25 October 2020 that Berlin had twice; and no time without a zone among them."""
    hours = ["01:30+02:00", "02:30+02:00", "02:30+01:00", "03:30+01:00"]
    rows = [f"2020-10-25T{hour},{n}.5" for n, hour in enumerate(hours)]
    found = read(tmp_path, ["t,x", *(rows[k] for k in (2, 0, 3, 1))], time="t", target="x")
    assert found.values[:, 0].tolist() == [0.5, 1.5, 2.5, 3.5]
    for mixed in ([*rows, "2020-10-25T05:00,4.5"], ["2020-10-25T00:00,4.5", *rows]):
        assert "is no time, though others are" in refused(tmp_path, ["t,x", *mixed], time="t", target="x")
    local = [row.replace("+02:00", "").replace("+01:00", "") for row in rows]
    assert "lines 3 and 4 have the same time" in refused(tmp_path, ["t,x", *local], time="t", target="x")


def test_times_of_two_columns(tmp_path: Path) -> None:
    rows = [f"{16 + t // 24}/12/2006;{t % 24:02}:00:00;{t}.5" for t in range(48)]
    found = read(tmp_path, ["Date;Time;x", *rows], time=("Date", "Time"), target="x")
    assert found.was_sorted
    assert found.times is not None
    assert found.times[25] == np.datetime64("2006-12-17T01:00")


def test_blocks_of_a_column_are_series_unless_the_times_go_on(tmp_path: Path) -> None:
    two = [f"{'AB'[t // 20]},{t}.5" for t in range(40)]
    assert "column s has 2 values in 2 blocks" in refused(tmp_path, ["s,x", *two], ignore=("s",), target="x")
    assert len(read(tmp_path, ["s,x", *two], ignore=("s",), target="x", group=False).series) == 1
    for group in ("s", 0):  # which is not False
        grouped = read(tmp_path, ["s,x", *two], group=group, target="x")
        assert grouped.series == (("A", slice(0, 20)), ("B", slice(20, 40)))
    months = [f"{'AB'[t // 20]},2020-{1 + t // 20:02}-{t % 20 + 1:02},{t}.5" for t in range(40)]
    assert len(read(tmp_path, ["m,d,x", *months], ignore=("m", "d"), target="x").series) == 1


def test_series_side_by_side_are_not_one(tmp_path: Path) -> None:
    """As sorted by date: the same time comes once for each name. A clock beside the date is no name."""
    mixed = [f"2020-02-{t // 2 + 1:02},{'AB'[t % 2]},{t}.5" for t in range(56)]
    message = refused(tmp_path, ["d,s,x", *mixed], ignore=("d", "s"), target="x")
    assert message.startswith(
        "3: lines 2 and 3 have the same time and another s — are there several series? set `csv.group: s`"
    )
    assert len(read(tmp_path, ["d,s,x", *mixed], time="d", group="s", target="x").series) == 2
    hours = [f"2020-02-{t // 4 + 1:02},{6 * (t % 4):02}:00,{t}.5" for t in range(100)]
    assert len(read(tmp_path, ["d,clock,x", *hours], ignore=("d", "clock"), target="x").values) == 100
    assert len(read(tmp_path, ["d,clock,x", *hours], time=("d", "clock"), target="x").values) == 100
    days = [f"2020-02-{t // 4 + 1:02},{'work' if t // 4 % 7 < 5 else 'free'},{t}.5" for t in range(100)]
    assert len(read(tmp_path, ["d,kind,x", *days], ignore=("d", "kind"), target="x").series) == 1


def test_a_content_is_parsed_once_in_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []
    parse = _csv_table._parsed
    monkeypatch.setattr(_csv_table, "_parsed", lambda *given: parsed.append(given[0]) or parse(*given))
    first = read(tmp_path, ["a,b", *FORTY, "77,77.5"])
    again = read_table(CsvFile(path=str(tmp_path / "x.csv"), target=0))
    assert again is first
    (tmp_path / "x.csv").write_text("\n".join(["a,b", *FORTY]))
    assert len(read_table(CsvFile(path=str(tmp_path / "x.csv"), target=0)).values) == 40
    assert len(parsed) == 2
    assert not first.values.flags.writeable
