"""The report of a map: a page that says what went wrong, where the time went, and what to do.

    RunRecord ─▶ told (what there is to say) ─▶ page (HTML) ◀─ charts (SVG)
                   └─ verdict ─▶ advice (a line, also while it runs)

The page is one file. It needs no script and no network, is light or dark as its reader's system is,
and of a bounded size however many items there were.
"""

from processpool.report.advice import Advice as Advice
from processpool.report.advice import advise as advise
from processpool.report.report import Report as Report
from processpool.report.told import Naming as Naming
from processpool.report.told import Told as Told

__all__ = ["Advice", "Naming", "Report", "Told", "advise"]
