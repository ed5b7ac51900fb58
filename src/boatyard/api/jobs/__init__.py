"""Batch jobs: a file in, one line for each of its rows out, as JSON Lines or CSV. All state of a job is in the storage.

    jobs/<id>/input/000001                           the uploaded file, in parts
    jobs/<id>/job.json                               written last when a job is submitted: now it exists
    jobs/<id>/result/000001.<rows>.<bad>.<bytes>.jsonl   the next answers; the numbers are the progress so far
    jobs/<id>/end.json                               the job has finished or failed
    jobs/<id>/lease.json                             which server works on it, until when, and its failed attempts
    jobs/open/<id>                                   the job is being uploaded, or has not ended yet

Rows and answers depend only on the file and the model's version, and each object is written once. So a server that
takes over a job resumes after its last chunk, and two servers that work on the same job do no harm.
"""
