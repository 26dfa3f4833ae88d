from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("records", "0002_last_activity")]

    operations = [migrations.RemoveIndex(model_name="recordvector", name="record_vector_record")]
