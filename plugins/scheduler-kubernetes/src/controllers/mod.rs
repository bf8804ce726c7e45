//! Controllers of the embedded API server's kinds. They speak to it over HTTP only.
