"""What runs inside the sandbox beside the student's code, and the codec that both sides use."""
