"""Pages for people, and the few calls of the application's interface."""

import json

from django.db import connection
from django.http import JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_POST

from .models import Answer, Question
from .tasks import grade


@require_GET
def index(request):
    return render(request, "questions/index.html", {"questions": Question.objects.order_by("pk")})


@require_GET
def health(request):
    with connection.cursor() as cursor:
        cursor.execute("select 1")
    return JsonResponse({"status": "ok"})


@require_POST
def answer(request, question):
    """Takes an answer; the worker grades it."""
    text = json.loads(request.body)["text"]
    given = Answer.objects.create(question=get_object_or_404(Question, pk=question), text=text[:200])
    grade.delay(given.pk)
    return JsonResponse({"answer": given.pk}, status=202)


@require_GET
def graded(request, answer):
    given = get_object_or_404(Answer, pk=answer)
    return JsonResponse({"correct": given.correct, "graded_by": given.graded_by})
