//! Wires: in-memory pipe, sockets with CTAPHID reports, vpcd
