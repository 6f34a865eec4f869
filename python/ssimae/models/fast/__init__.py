"""Say the same networks in other layers, which a CPU computes sooner: to inspect, and to train."""
