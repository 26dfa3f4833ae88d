from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("datasets", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="dataset",
            name="schema_version",
            field=models.PositiveIntegerField(default=0),
        ),
    ]
