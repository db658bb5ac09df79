from django.urls import path

from questions import views

urlpatterns = [
    path("", views.index),
    path("health", views.health),
    path("questions/<int:question>/answers", views.answer),
    path("answers/<int:answer>", views.graded),
]
