"""What inspecting one image gives, and how it shows itself."""
