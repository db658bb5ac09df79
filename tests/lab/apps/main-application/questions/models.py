from django.db import models


class Question(models.Model):
    text = models.CharField(max_length=200, unique=True)
    solution = models.CharField(max_length=200)


class Answer(models.Model):
    question = models.ForeignKey(Question, on_delete=models.CASCADE)
    text = models.CharField(max_length=200)
    # Nothing until the worker has looked at it.
    correct = models.BooleanField(null=True)
    graded_by = models.CharField(max_length=200, blank=True)
