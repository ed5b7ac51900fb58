"""The prediction journal: every answer as a JSON line, which no crash can lose.

    <spool>/<instance>/<opened>.<instance>-<n>.jsonl       local, a segment: only one process appends to it
    journal/date=YYYY-MM-DD/<instance>-<n>.jsonl.gz        in storage, the same lines: written once, immutable
    requests/<sha256>                                      and once what is large in their requests

A segment's name determines its object's name, whichever process ships it. So shipping twice is harmless, and a process
that starts takes over the segments of dead ones by moving them into its own folder.

A segment stays open until it is shipped. So if something removes it from the spool, such as a cleaner of temporary
files, it is read back from the open file and written again.

A line is one prediction or one feedback:

    {"event": "prediction", "id", "time", "input", "task", "model", "version", "request" or "request_sha256",
     "truncated", "measured": {by the input's columns}, "answer": {the task's}, "duration_ms"; of a job: "job", "row"}
    {"event": "feedback", "id", "time", "model", "version", "truth": {the task's}}
"""

from boatyard.journal.large import whole
from boatyard.journal.reading import read, read_object, shipped
from boatyard.journal.segment import ROOT, JournalError
from boatyard.journal.spool import Journal, JournalFull

__all__ = ["ROOT", "Journal", "JournalError", "JournalFull", "read", "read_object", "shipped", "whole"]
