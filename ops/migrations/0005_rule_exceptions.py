from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ops", "0004_holds_checks_attachments")]

    operations = [
        migrations.AddField(
            model_name="approvalrule",
            name="is_exception",
            field=models.BooleanField(default=False),
        ),
    ]
