"""The harness: contracts, registry, metrics, tasks, tracking. Importing it makes the environment safe first."""

from bench.external.safety import harden

harden()
