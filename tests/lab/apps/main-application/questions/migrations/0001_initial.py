from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            name="Question",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("text", models.CharField(max_length=200, unique=True)),
                ("solution", models.CharField(max_length=200)),
            ],
        ),
        migrations.CreateModel(
            name="Answer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("text", models.CharField(max_length=200)),
                ("correct", models.BooleanField(null=True)),
                ("graded_by", models.CharField(blank=True, max_length=200)),
                ("question", models.ForeignKey(on_delete=models.deletion.CASCADE, to="questions.question")),
            ],
        ),
    ]
