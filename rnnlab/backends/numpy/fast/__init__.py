"""The fast layer: any cell by its plan, with NumPy alone; tests compare it with the readable reference."""
