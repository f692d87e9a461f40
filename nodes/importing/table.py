"""CSV: a header line names the columns."""

from __future__ import annotations

import csv
import io

from fleetui.core.text import said_cell
from nodes.importing.rows import N_, Inventory, Problem, Refused, Row

COLUMNS = {
    "name": "name",
    "node": "name",
    "host": "name",
    "hostname": "name",
    "address": "address",
    "ip": "address",
    "ip_address": "address",
    "port": "port",
    "ssh_port": "port",
    "pool": "pool",
    "group": "pool",
    "credential": "credential",
    "jump_host": "jump_host",
    "os": "os_family",
    "os_family": "os_family",
    "labels": "labels",
    "host_key": "host_key",
}
MAX_CELL = 8192


def read_csv(text: str) -> Inventory:
    """Rows of a table. `labels` holds `key=value;key=value`; a column `label:KEY` holds one label."""
    delimiter, skipped = _shape(text)
    csv.field_size_limit(MAX_CELL)
    lines = io.StringIO(text, newline="")
    for _ in range(skipped):
        lines.readline()
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    inventory = Inventory()
    try:
        header = [cell.strip() for cell in next(reader, [])]
        fields = _fields(header)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                inventory.add(_row(fields, cells, skipped + reader.line_num))
    except csv.Error as error:
        raise Refused(
            N_("Line %(line)s is not CSV: %(error)s."),
            N_("Check its quotes and its length."),
            line=skipped + reader.line_num,
            error=error,
        ) from None
    return inventory


def _shape(text: str) -> tuple[str, int]:
    """The delimiter, and how many lines come before the header: empty ones, and Excel's `sep=;`."""
    lines = io.StringIO(text, newline="")
    for skipped in range(1000):
        line = lines.readline()
        if line.strip().lower()[:4] == "sep=":
            return (line.strip()[4:5] or ("\t" if "\t" in line else ","), skipped + 1)
        if line.strip() or not line:
            # A file of old Macs ends its lines with a carriage return alone.
            return max(",;\t", key=line.partition("\r")[0].count), skipped
    return ",", 0


def _fields(header: list[str]) -> list[str]:
    fields, unknown = [], []
    for cell in header:
        key = cell.lower().replace(" ", "_")
        if key.startswith("label:") and len(cell) > 6:
            fields.append("label:" + cell[6:].strip())
        elif key in COLUMNS:
            fields.append(COLUMNS[key])
        else:
            unknown.append(cell[:60])
    if "name" in fields and unknown:
        raise Refused(
            N_("Columns that are not known: %(columns)s."),
            N_("Use %(known)s, or leave them out."),
            columns=", ".join(unknown),
            known="name, address, port, pool, credential, jump_host, os, labels, label:KEY, host_key",
        )
    if "name" not in fields:
        raise Refused(
            N_("No column is called name."), N_("The first line names the columns: name,address,port,pool,labels.")
        )
    if doubled := next((name for name in fields if fields.count(name) > 1), None):
        raise Refused(N_("Two columns say %(column)s."), N_("Keep one of them."), column=doubled)
    return fields


def _row(fields: list[str], cells: list[str], line: int) -> Row:
    row = Row(f"line {line}", "")
    if len(cells) > len(fields):
        mend = N_("The header has %(columns)s columns: quote the commas.")
        row.problems.append(Problem("line", str(len(cells)), mend, {"columns": str(len(fields))}))
    labels: dict[str, str] = {}
    for name, cell in zip(fields, cells, strict=False):
        value = said_cell(cell.strip())
        if name.startswith("label:"):
            if value:
                labels[name[6:]] = value
        elif name == "labels":
            _labels(row, labels, value)
        elif name == "port":
            if value:
                row.set_port(value)
        elif value:
            setattr(row, name, value)
    if labels or any(name.startswith("label") for name in fields):
        row.labels = labels
    return row


def _labels(row: Row, labels: dict[str, str], text: str) -> None:
    for part in filter(None, (word.strip() for word in text.split(";"))):
        key, equals, value = part.partition("=")
        if equals:
            labels[key.strip()] = said_cell(value.strip())
        else:
            row.problems.append(Problem("labels", part[:60], N_("Write key=value, separated by semicolons.")))
