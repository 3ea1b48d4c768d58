"""Documents as people sign and file them: HTML and PDF, in Chinese and English."""
