"""What changed between two versions of a table of assurance, row by row, and what of it is wider.

A row that is new or says something else may make more of a sign-in. One that is worth less, or gone, cannot, except
the last one about an ID system: where several tables speak of it the lowest counts, so that one less may be more.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

from trust_lists.assurance_rows import Row, write_row
from trust_lists.change import Change
from trust_lists.model import TrustList


def changes(old: TrustList | None, new: TrustList) -> Iterator[Change]:
    """Tell what changed in the rows; nothing for lists of any other format."""
    before, after = _rows(old), _rows(new)
    for row_id, row in after.items():
        was = before.get(row_id)
        if was is None:
            yield Change(code="row-added", widens=True, values=(row_id,), after=_told(row))
        elif was != row:
            lower = _lower(was, row)
            code = "row-lowered" if lower else "row-changed"
            yield Change(code=code, widens=not lower, values=(row_id,), before=_told(was), after=_told(row))
    left = {row.system for row in after.values()}
    for row_id, row in before.items():
        if row_id in after:
            continue
        if row.system in left:
            yield Change(code="row-removed", widens=False, values=(row_id,))
        else:
            yield Change(code="row-none-left", widens=True, values=(row_id,), after=row.system or "*")


def _rows(trust_list: TrustList | None) -> Mapping[str, Row]:
    if trust_list is None or trust_list.table is None:
        return {}
    return {row.id: row for row in trust_list.table.rows}


def _told(row: Row) -> str:
    return json.dumps({"system": row.system} | write_row(row), ensure_ascii=False)


def _lower(was: Row, now: Row) -> bool:
    """Tell whether only levels differ, and none of them is higher."""
    same = replace(now, identity=was.identity, authentication=was.authentication, federation=was.federation)
    pairs = (
        (was.identity, now.identity),
        (was.authentication, now.authentication),
        (was.federation, now.federation),
    )
    return same == was and all(later <= earlier for earlier, later in pairs)
