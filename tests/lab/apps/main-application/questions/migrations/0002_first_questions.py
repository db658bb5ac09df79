from django.db import migrations

QUESTIONS = {"What is the capital of Colombia?": "Bogotá", "How many bits has a byte?": "8"}


def ask(apps, _):
    question = apps.get_model("questions", "Question")
    # A second run of this would fail: questions are unique.
    question.objects.bulk_create(question(text=text, solution=solution) for text, solution in QUESTIONS.items())


class Migration(migrations.Migration):
    dependencies = [("questions", "0001_initial")]
    operations = [migrations.RunPython(ask, migrations.RunPython.noop)]
