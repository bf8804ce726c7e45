//! `runtime-docker`: containers of a Docker daemon. (Lead is writing this crate right now, files follow.)
