//! Probes of the local application, and downloads over HTTPS: http, tcp, unix sockets.
