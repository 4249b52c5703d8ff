"""What ``make run`` and ``make demo`` show: sample mails through the whole gateway."""
