"""The tab "Submit": a form, the page of a submission, the queue."""
