"""The pages of owners, admins and the platform operator."""
