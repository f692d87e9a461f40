"""The pools that people and tokens may see, and what must be one."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0001_initial'),
        ('nodes', '0002_poll_indexes'),
    ]

    operations = [
        migrations.AddField(
            model_name='rolebinding',
            name='pool',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='bindings', to='nodes.pool'),
        ),
        migrations.AddField(
            model_name='rolebinding',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='bindings', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='token',
            name='pools',
            field=models.ManyToManyField(blank=True, related_name='+', to='nodes.pool'),
        ),
        migrations.AddField(
            model_name='token',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tokens', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddConstraint(
            model_name='rolebinding',
            constraint=models.UniqueConstraint(fields=('user', 'role', 'pool'), name='one_binding_per_pool'),
        ),
        migrations.AddConstraint(
            model_name='rolebinding',
            constraint=models.UniqueConstraint(condition=models.Q(('pool', None)), fields=('user', 'role'), name='one_binding_on_all'),
        ),
        migrations.AddConstraint(
            model_name='rolebinding',
            constraint=models.CheckConstraint(condition=models.Q(('role__in', ['viewer', 'operator', 'approver', 'auditor', 'admin'])), name='role_is_known'),
        ),
        migrations.AddConstraint(
            model_name='token',
            constraint=models.UniqueConstraint(condition=models.Q(('revoked_at', None)), fields=('user', 'name'), name='one_token_per_name'),
        ),
    ]
