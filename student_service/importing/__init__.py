"""Reading files of students and making the records what they say."""
