"""Log shippers as processes, the lines they ship, and the sink they ship to: shared by the bench and the faults."""
