//! Git in process: clone, fetch and check out with libgit2 over our own transports.
