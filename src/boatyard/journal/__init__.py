"""The prediction journal: what was answered, as JSON lines that neither a crash nor another instance can lose.

    <spool>/<instance>/<opened>.<instance>-<n>.jsonl       local, a segment: only its own process appends to it
    journal/date=YYYY-MM-DD/<instance>-<n>.jsonl.gz        in storage, the same lines: written once, never touched again

A segment's name says what its object will be called, whoever ships it. So shipping twice is harmless, and a process
that starts takes over what dead ones left in the spool by moving their segments into its own folder.

A segment stays open until it is shipped. So what something else removes from the spool, as cleaners of temporary files
do, is read back from the open file and written again.

A line is one prediction or one feedback:

    {"event": "prediction", "id", "time", "input", "task", "model", "version", "request" or "request_sha256",
     "truncated", "measured": {by the input's columns}, "answer": {the task's}, "duration_ms"; of a job: "job", "row"}
    {"event": "feedback", "id", "time", "model", "version", "truth": {the task's}}
"""

from boatyard.journal.reading import read, read_object, shipped
from boatyard.journal.segment import ROOT, JournalError
from boatyard.journal.spool import Journal, JournalFull

__all__ = ["ROOT", "Journal", "JournalError", "JournalFull", "read", "read_object", "shipped"]
