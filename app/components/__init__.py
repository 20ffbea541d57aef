"""Components that Gradio does not have."""
