"""From a request to a record: inputs, jobs, scores."""
