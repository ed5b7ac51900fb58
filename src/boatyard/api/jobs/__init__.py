"""Batch jobs: a file in, a line for each of its rows out. All there is to a job lies in the storage.

    jobs/<id>/input/000001                           the file as it came, in parts
    jobs/<id>/job.json                               written last of a submission: now there is a job
    jobs/<id>/result/000001.<rows>.<bad>.<bytes>.jsonl   the next answers; the numbers: how far the job is by then
    jobs/<id>/end.json                               it is over
    jobs/<id>/lease.json                             who works on it, until when, and how often that failed
    jobs/open/<id>                                   it is being sent, or not over yet

Rows and answers follow from the file and the model's version alone, and an object is written once. So a server that
takes over a job continues after its last chunk, and two that work on one job do no harm.
"""
