//! A scripted machine for unit tests: programs that answer as told and write down how they were called.
